"""What a line folder says, for people and other programs: data dictionary, difference, coverage of the EBR's fields, schemas."""
