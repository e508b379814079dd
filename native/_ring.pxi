@cython.final
cdef class Ring:
    cdef fw_ring raw
    cdef fw_tail tail
    cdef Py_buffer view
    cdef bint held

    def __cinit__(self, memory, size_t block_size):
        PyObject_GetBuffer(memory, &self.view, PyBUF_WRITABLE)
        self.held = True
        if block_size < 4096 or <size_t>self.view.len < block_size or self.view.len % block_size:
            raise ValueError("a ring is a whole number of blocks of 4,096 bytes or more")
        self.raw.blocks = <uint8_t *>self.view.buf
        self.raw.block_size = block_size
        self.raw.block_count = <uint32_t>(self.view.len // block_size)

    def __dealloc__(self):
        self.close()
        free(self.tail.halves[0])
        free(self.tail.halves[1])

    def close(self):
        """Let go of the memory; nothing can be read afterwards."""
        if self.held:
            self.held = False
            PyBuffer_Release(&self.view)

    def fill(self, Decoder decoder, Batch batch, int64_t shift_ns):
        cdef int code
        if not self.held:
            raise ValueError("the ring is closed")
        with nogil:
            code = fw_ring_fill(&self.raw, decoder.raw, shift_ns, &batch.raw)
        batch.owner = self
        return bool(code)

    def record(self, uint32_t room, uint32_t budget, uint32_t interface):
        if self.raw.tail != NULL:
            raise ValueError("the ring records already")
        self.tail.halves[0] = <uint8_t *>calloc(room, 1)
        self.tail.halves[1] = <uint8_t *>calloc(room, 1)
        if self.tail.halves[0] == NULL or self.tail.halves[1] == NULL:
            raise MemoryError
        self.tail.room, self.tail.budget = room, budget
        self.raw.tail_interface = interface
        self.raw.tail = &self.tail

    def recorded(self):
        cdef unsigned new = self.tail.current, old = 1 - new
        cdef bytes out = (<char *>self.tail.halves[old])[:self.tail.used[old]] + \
            (<char *>self.tail.halves[new])[:self.tail.used[new]]
        fw_tail_clear(&self.tail)
        return out

    @property
    def frames(self):
        return self.raw.frames

    @property
    def damaged(self):
        return self.raw.damaged
