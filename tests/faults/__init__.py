"""Faults on purpose: processes killed at any of their system calls, full disks, servers that go away."""
