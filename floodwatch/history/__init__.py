"""What is remembered from epoch to epoch, in fixed memory: victims, servers, sources, rates, clients."""
