"""Receives entries by MQTT and HTTPS and takes or refuses them by the uplink's contract, with faults that a test injects."""
