"""The list of scenarios: a new one is one function and one name here."""

from __future__ import annotations

from floodwatch.synth import adversaries, attacks, calm, carpets, sessions, story, strays
from floodwatch.synth.stage import Scenario

SCENARIOS: dict[str, Scenario] = {
    function.__name__: function
    for function in (
        story.launch_day,
        calm.clean,
        calm.crowd,
        calm.port_scan,
        calm.busy_dns,
        calm.bulk_download,
        calm.uploads,
        calm.paused_players,
        calm.tunnel_hub,
        calm.office_nat,
        calm.one_client_loop,
        attacks.syn_flood,
        attacks.syn_flood_random_ports,
        attacks.syn_flood_one_source,
        attacks.pulse,
        attacks.http_flood,
        attacks.http_flood_low_rate,
        attacks.http_flood_beside_pollers,
        attacks.login_bruteforce,
        attacks.slow_http,
        attacks.slow_post,
        attacks.slow_read,
        attacks.udp_flood,
        attacks.icmp_flood,
        attacks.dns_amplification,
        attacks.ntp_amplification,
        attacks.ssdp_amplification,
        attacks.memcached_amplification,
        sessions.tls_crowd,
        strays.ack_flood,
        strays.psh_ack_flood,
        strays.rst_flood,
        strays.fin_flood,
        strays.syn_ack_flood,
        strays.tcp_flag_flood,
        strays.tcp_reflection,
        strays.fragment_flood,
        strays.gre_flood,
        strays.udp_one_port,
        sessions.dns_query_flood,
        sessions.connection_flood,
        sessions.tls_flood,
        sessions.http2_rapid_reset,
        sessions.http2_continuation_flood,
        sessions.http2_proxy,
        sessions.quic_flood,
        carpets.carpet_udp,
        carpets.carpet_ntp,
        carpets.carpet_syn,
        adversaries.framed_clients,
        adversaries.framed_gateway,
        adversaries.framed_networks,
        adversaries.short_pulses,
        attacks.burst,
        attacks.zero_duration,
    )
}
"""Scenario name to the function that fills the trace; the first line of its docstring describes it."""
