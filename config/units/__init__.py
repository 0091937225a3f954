"""Units by UCUM, evaluated exactly, and the scaling of raw values into them."""
