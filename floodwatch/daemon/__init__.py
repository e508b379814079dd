"""``floodwatch run``: a watch with a memory, a policy and a second process.

The *sensor* parses hostile bytes and holds no right at all; the *enforcer* holds CAP_NET_ADMIN and never sees
a packet. What crosses between them are records of bounded size, and the enforcer holds whatever the sensor
asks against never-block, limits and mode before it is done.
"""
