"""Sends a chord of three short naps every half second until its standard input closes; prints how many."""

from __future__ import annotations

import select
import sys

from celery import chord
from project import collect, nap

sent = 0
while not select.select([sys.stdin], [], [], 0.5)[0]:
    chord([nap.s(0.3) for _ in range(3)])(collect.s())
    sent += 1
print(sent)
