/* What a request tells of the program that sends it, beside its path: its query, its User-Agent, its login.
 *
 * A program knows a few names of parameters and calls itself by one name. What is noted here are keyed digests only,
 * by which one request is told from another; no text is kept. */
#ifndef FW_PROGRAM_H
#define FW_PROGRAM_H

#include "fw_message.h"

/* The query of a request target (RFC 3986, 3.4), if one begins at p[0..size). */
void fw_program_query(const struct fw_key *key, const uint8_t *p, uint32_t size, struct fw_message *out);

/* A line of a header: User-Agent (RFC 9110, 10.1.5), and Authorization of the schemes that carry a password (RFC 7617) or
 * a digest of one (RFC 7616). */
void fw_program_line(const struct fw_key *key, const uint8_t *line, uint32_t size, struct fw_message *out);

/* Cheap test ahead of it, by the first byte in lower case. */
static inline int fw_program_likely(uint8_t first) { return first == 'u' || first == 'a'; }

#endif
