/* Ports that are tried again: by the same source, within a minute, whether they answered or not. */
#include "check.h"
#include "make.h"
#include "../fw_tries.h"


#define HOST 0xc6336407u

static struct fw_tries *tries;

static const struct fw_try *try_port(uint32_t source, uint16_t port, uint64_t epoch)
{
    struct fw_packet p = packet(FW_SYN, source, 40000, HOST, port);
    return fw_tries_note(tries, &p, epoch);
}

static void test_again(void)
{
    memset(tries, 0, sizeof *tries);
    CHECK_EQUAL(try_port(1, 80, 1000)->tries, 1);
    CHECK_EQUAL(try_port(1, 81, 1000)->tries, 1);
    CHECK_EQUAL(try_port(1, 80, 1001)->tries, 2);
    CHECK_EQUAL(try_port(1, 80, 1002)->tries, 3);
    CHECK_EQUAL(try_port(1, 80, 1003)->tries, FW_TRIES_MOST);
    CHECK_EQUAL(try_port(1, 80, 1004 + FW_TRIES_EPOCHS)->tries, 1);
    CHECK_EQUAL(try_port(2, 81, 1000)->tries, 1);
}

static void test_answers(void)
{
    memset(tries, 0, sizeof *tries);
    CHECK_EQUAL(try_port(1, 80, 1000)->tries, 1);
    struct fw_packet other = packet(FW_RST, HOST, 81, 1, 40000), answer = packet(FW_RST, HOST, 80, 1, 40000);
    fw_tries_answer(tries, &other);
    CHECK_EQUAL(try_port(1, 80, 1001)->answered, 0);
    fw_tries_answer(tries, &answer);
    CHECK_EQUAL(try_port(1, 80, 1001)->answered, 1);
}

static void test_who_is_served_tries_nothing(void)
{
    memset(tries, 0, sizeof *tries);
    CHECK_EQUAL(try_port(1, 80, 1000)->served, 0);
    struct fw_packet other = packet(FW_ACK, 2, 40000, HOST, 80), ack = packet(FW_ACK, 1, 40000, HOST, 80);
    fw_tries_serve(tries, &other);
    CHECK_EQUAL(try_port(1, 80, 1001)->served, 0);
    fw_tries_serve(tries, &ack);
    CHECK_EQUAL(try_port(1, 80, 1002)->served, 1);
    CHECK_EQUAL(try_port(1, 80, 1003 + FW_TRIES_EPOCHS)->served, 0);
}

static void test_every_port_of_a_host_has_its_place(void)
{
    memset(tries, 0, sizeof *tries);
    uint32_t again = 0;
    for (unsigned round = 0; round < 2; round++)
        for (uint32_t port = 0; port < 65536; port++)
            again += try_port(3, (uint16_t)port, 1000)->tries > 1;
    CHECK_EQUAL(again, 65536);
}

int main(void)
{
    tries = calloc(1, sizeof *tries);
    if (!tries)
        return 2;
    test_again();
    test_answers();
    test_who_is_served_tries_nothing();
    test_every_port_of_a_host_has_its_place();
    free(tries);
    return finish("tries");
}
