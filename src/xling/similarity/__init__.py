"""The probes: how similar two languages are in one model, layer by layer."""
