/* A plain main for any fuzz target: run it over files, and over prefixes of the small ones: every one of the first
 * bytes, where the headers of all formats lie, and one of a few from there on. Each input is copied to a block of
 * its own size, so that the address sanitizer sees the first byte read behind it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIXES_UP_TO 4096u
#define EVERY_ONE_UP_TO 1024u
#define STRIDE 13u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void once(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        exit(2);
    if (size)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static uint8_t *read_all(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    long end = -1;
    if (f && fseek(f, 0, SEEK_END) == 0)
        end = ftell(f);
    uint8_t *data = end >= 0 ? malloc((size_t)end + 1) : NULL;
    if (!data) {
        perror(path);
        exit(2);
    }
    rewind(f);
    *size = fread(data, 1, (size_t)end, f);
    fclose(f);
    return data;
}

int main(int argc, char **argv)
{
    /* PREFIXES=n feeds every prefix of smaller files only: a folder of hundreds of captures takes minutes. */
    const char *limit = getenv("PREFIXES");
    size_t prefixes_up_to = limit ? (size_t)strtoul(limit, NULL, 10) : PREFIXES_UP_TO;
    unsigned long runs = 0;
    for (int i = 1; i < argc; i++) {
        size_t size;
        uint8_t *data = read_all(argv[i], &size);
        size_t first = size <= prefixes_up_to ? 0 : size;
        for (size_t n = first; n < size; n += n < EVERY_ONE_UP_TO ? 1 : STRIDE, runs++)
            once(data, n);
        once(data, size);
        runs++;
        free(data);
    }
    printf("%s: %d files, %lu runs\n", argv[0], argc - 1, runs);
    return 0;
}
