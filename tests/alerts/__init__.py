"""Records what `/metrics` shows through real faults, and writes promtool's tests of the alerts from that."""
