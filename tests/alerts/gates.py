"""Files whose presence tells a monitor to let its looks hang, and to go on."""

from __future__ import annotations

HANG, GO_ON = "looks_hang", "looks_go_on"
