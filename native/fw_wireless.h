/* IEEE 802.11 data frames, bare or behind the header that a driver puts before them, to the IP header or a reject.
 *
 * Radiotap (radiotap.org), Prism and its successor AVS. Each states its length but Prism, which has 144 bytes. */
#ifndef FW_WIRELESS_H
#define FW_WIRELESS_H

#include "fw_link.h"

int fw_wireless_bare(struct fw_cursor *c, uint16_t *type);
int fw_wireless_radiotap(struct fw_cursor *c, uint16_t *type);
int fw_wireless_prism(struct fw_cursor *c, uint16_t *type); /* AVS tells itself by its first bytes */

#endif
