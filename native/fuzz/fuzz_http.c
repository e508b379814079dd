/* One TCP payload. */
#include "../fw_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fw_key key = {1, 2};
    struct fw_message h;
    if (size > UINT32_MAX)
        return 0;
    int what = fw_http_parse(&key, data, (uint32_t)size, &h);
    if (what != h.what || what < FW_SAID_NOTHING || what > FW_HTTP_RESPONSE)
        __builtin_trap();
    if (what == FW_HTTP_REQUEST &&
        (h.path < data || h.path + h.path_len > data + size || h.path_len > FW_PATH_MAX || h.path_hash == 0))
        __builtin_trap();
    if (what == FW_HTTP_RESPONSE && h.status > 999)
        __builtin_trap();
    return 0;
}
