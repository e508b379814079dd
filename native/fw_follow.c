#include "fw_follow.h"

/* The packet belongs to a connection that has left HTTP/1. */
static int left_behind(struct fw_follow *f, const struct fw_key *key, uint64_t flow, const struct fw_packet *p,
                       const uint8_t *payload, struct fw_message *out)
{
    if (f->sockets.used && fw_socket_hear(&f->sockets, flow, p, payload, out))
        return 1;
    return f->streams.used && fw_stream_hear(&f->streams, &f->texts, key, flow, p, payload, out);
}

/* Leave HTTP/1 for what the request asks for, or the answer grants. */
static void upgrade(struct fw_follow *f, const struct fw_key *key, uint64_t flow, const struct fw_packet *p,
                    const uint8_t *payload, const struct fw_message *said, const struct fw_next *next)
{
    int answered = said->what == FW_HTTP_RESPONSE;
    if (said->upgrade == FW_UPGRADE_WEBSOCKET)
        fw_socket_open(&f->sockets, flow, p, answered);
    if (said->upgrade == FW_UPGRADE_HTTP2 && answered) {
        struct fw_message behind; /* the server's settings */
        fw_stream_open(&f->streams, flow, p, next->at);
        (void)fw_stream_hear(&f->streams, &f->texts, key, flow, p, payload, &behind);
    }
}

static int hear_http(struct fw_follow *f, const struct fw_key *key, const struct fw_ranges *named,
                     const struct fw_packet *p, const uint8_t *payload, struct fw_message *out)
{
    struct fw_next next;
    int said = fw_begun_read(&f->beguns, &f->texts, key, named, p, payload, out, &next);
    if (said == FW_SAID_NOTHING && payload[0] == 'P' && /* the preface of HTTP/2 */
        fw_stream_hear(&f->streams, &f->texts, key, fw_flow_hash(p), p, payload, out))
        return out->what;
    if (FW_UNLIKELY(said != FW_SAID_NOTHING && out->upgrade))
        upgrade(f, key, fw_flow_hash(p), p, payload, out, &next);
    return said;
}

static int hear_tls(struct fw_follow *f, const struct fw_packet *p, const uint8_t *payload, struct fw_message *out)
{
    int said = fw_tls_parse(payload, p->captured, out);
    if (said == FW_TLS_HELLO)
        fw_rest_begin(&f->rests, p, payload);
    return said;
}

/* What a packet says by itself, or as part of what began before it. */
static int hear(struct fw_follow *f, const struct fw_key *key, const struct fw_ranges *named, const struct fw_packet *p,
                const uint8_t *payload, struct fw_message *out)
{
    if (FW_UNLIKELY(f->sockets.used || f->streams.used) && left_behind(f, key, fw_flow_hash(p), p, payload, out))
        return out->what;
    if ((fw_http_likely(payload) && fw_http_begins(payload, p->captured)) ||
        (fw_begun_likely(&f->beguns, p) && fw_begun_waits(&f->beguns, p)))
        return hear_http(f, key, named, p, payload, out);
    if (fw_tls_likely(payload, p->captured))
        return hear_tls(f, p, payload, out);
    if (fw_http2_likely(payload, p->captured) &&
        fw_stream_hear(&f->streams, &f->texts, key, fw_flow_hash(p), p, payload, out))
        return out->what;
    return FW_SAID_NOTHING;
}

int fw_follow_hear(struct fw_follow *f, const struct fw_key *key, const struct fw_ranges *named, const struct fw_packet *p,
                   const uint8_t *payload, struct fw_message *out)
{
    int said = hear(f, key, named, p, payload, out);
    if (FW_UNLIKELY(f->rests.used) && said == FW_SAID_NOTHING && fw_rest_goes_on(&f->rests, p)) {
        memset(out, 0, sizeof *out);
        out->what = FW_TLS_MORE;
        out->whole = payload;
        return FW_TLS_MORE;
    }
    return said;
}

void fw_follow_clear(struct fw_follow *f)
{
    if (f->beguns.used)
        memset(&f->beguns, 0, sizeof f->beguns);
    if (f->sockets.used)
        memset(&f->sockets, 0, sizeof f->sockets);
    if (f->streams.used)
        memset(&f->streams, 0, sizeof f->streams);
    if (f->rests.used)
        memset(&f->rests, 0, sizeof f->rests);
}
