"""What comes in by MQTT and HTTPS: taken or refused by the uplink's contract, with faults that a test orders."""
