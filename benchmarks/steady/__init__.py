"""Sources and a receiver that cost little and lose nothing, each in a process of its own: what they take is not what is measured."""
