"""One secured session with a server: endpoint, certificates, trust, limits, reads of attributes, paths to node ids."""
