"""Shows a running gateway to people and other programs, and takes their commands: status in words, metrics, control socket.

Invariants: nothing here keeps the line running or knows what does; status and commands are handed the line's parts (`Parts`). Status
and metrics are read only; commands are taken on the control socket alone, and each stands in the audit trail.
"""
