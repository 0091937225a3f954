"""Units as people write them in SCADA lists and on displays, and the UCUM code that each means.

Keys are in the normal form of `units.normal`: one blank between words, superscripts as digits, micro as u, a middle dot as a full stop.
"""

NAMES: dict[str, str] = {
    # temperature, and its intervals
    "°C": "Cel", "ºC": "Cel", "degC": "Cel", "deg C": "Cel", "deg. C": "Cel", "Celsius": "Cel", "degree Celsius": "Cel", "grd C": "Cel",
    "°F": "[degF]", "ºF": "[degF]", "degF": "[degF]", "deg F": "[degF]", "Fahrenheit": "[degF]", "°K": "K", "Kelvin": "K", "°C/min": "Cel/min",
    # speed and frequency
    "rpm": "/min", "RPM": "/min", "r/min": "/min", "rev/min": "/min", "U/min": "/min", "1/min": "/min", "min-1": "/min", "min^-1": "/min",
    "tr/min": "/min", "rps": "/s", "1/s": "/s", "s-1": "/s", "hz": "Hz", "1/h": "/h", "strokes/min": "{strokes}/min", "tablets/h": "{tablets}/h",
    "tablets/min": "{tablets}/min", "m/s": "m/s", "m/min": "m/min", "mm/s RMS": "mm/s",
    # pressure; gauge and absolute stand in braces and never turn into each other
    "mbar(g)": "mbar{gauge}", "mbarg": "mbar{gauge}", "mbar g": "mbar{gauge}", "mbar(a)": "mbar{absolute}", "mbara": "mbar{absolute}",
    "mbar a": "mbar{absolute}", "bar(g)": "bar{gauge}", "barg": "bar{gauge}", "bar g": "bar{gauge}", "barü": "bar{gauge}",
    "bar(a)": "bar{absolute}", "bara": "bar{absolute}", "bar a": "bar{absolute}", "bar abs": "bar{absolute}", "mbar abs": "mbar{absolute}",
    "Pa(g)": "Pa{gauge}", "Pa(a)": "Pa{absolute}", "kPa(g)": "kPa{gauge}", "kPag": "kPa{gauge}", "kPa(a)": "kPa{absolute}", "kPaa": "kPa{absolute}",
    "psi": "[psi]", "psig": "[psi]{gauge}", "psi(g)": "[psi]{gauge}", "psia": "[psi]{absolute}", "psi(a)": "[psi]{absolute}",
    "mmHg": "mm[Hg]", "Torr": "mm[Hg]", "torr": "mm[Hg]", "mmH2O": "mm[H2O]", "cmH2O": "cm[H2O]", "inH2O": "[in_i'H2O]", "inHg": "[in_i'Hg]",
    "mmWS": "mm[H2O]", "hpa": "hPa", "mBar": "mbar", "Bar": "bar",
    # part, humidity, concentration
    "% RH": "%{RH}", "%RH": "%{RH}", "% rH": "%{RH}", "%rH": "%{RH}", "% r.H.": "%{RH}", "% r.F.": "%{RH}", "%rF": "%{RH}", "RH%": "%{RH}", "% HR": "%{RH}",
    "percent": "%", "pct": "%", "Prozent": "%", "% w/w": "%{mass}", "% m/m": "%{mass}", "% v/v": "%{volume}", "% vol": "%{volume}", "vol%": "%{volume}",
    "% O2": "%{O2}", "% CO2": "%{CO2}", "% DO": "%{DO}", "% pO2": "%{pO2}", "% air sat": "%{air_saturation}", "ppm": "[ppm]", "ppb": "[ppb]", "pH": "[pH]",
    "mg/l": "mg/L", "ug/l": "ug/L", "mol/l": "mol/L", "mmol/l": "mmol/L", "M": "mol/L", "mM": "mmol/L", "10^6 cells/mL": "10*6{cells}/mL",
    "1e6 cells/mL": "10*6{cells}/mL", "cells/mL": "{cells}/mL", "CFU": "[CFU]", "CFU/m3": "[CFU]/m3", "particles/m3": "{particles}/m3", "NTU": "[NTU]",
    "g/Nm3": "g/m3{norm}", "OD": "{OD}", "AU": "{AU}",
    # mass, volume, flow
    "KG": "kg", "Kg": "kg", "kgs": "kg", "gr": "g", "gram": "g", "mcg": "ug", "ton": "t", "lb": "[lb_av]", "lbs": "[lb_av]", "oz": "[oz_av]",
    "ltr": "L", "liter": "L", "litre": "L", "Liter": "L", "ML": "mL", "Ml": "mL", "cc": "cm3", "cbm": "m3", "m^3": "m3", "gal (US)": "[gal_us]", "US gal": "[gal_us]",
    "l/h": "L/h", "l/min": "L/min", "lpm": "L/min", "LPM": "L/min", "slpm": "L/min{standard}", "Nl/min": "L/min{norm}", "NL/min": "L/min{norm}",
    "ml/min": "mL/min", "mln/min": "mL/min{norm}", "sccm": "cm3/min{standard}", "vvm": "L/L/min", "m^3/h": "m3/h", "cbm/h": "m3/h", "Nm3/h": "m3/h{norm}",
    "CFM": "[cft_i]/min", "cfm": "[cft_i]/min", "gpm": "[gal_us]/min", "lb/h": "[lb_av]/h", "kg/hr": "kg/h", "KG/H": "kg/h",
    # force, torque, power, energy
    "Nm": "N.m", "N m": "N.m", "Ncm": "N.cm", "kNm": "kN.m", "KN": "kN", "kp": "kgf", "KW": "kW", "kw": "kW", "HP": "[HP]", "hp": "[HP]",
    "kWh": "kW.h", "KWh": "kW.h", "Wh": "W.h", "MWh": "MW.h", "kVA": "kV.A", "kVAr": "kV.A{reactive}", "kcal": "kcal",
    # electricity, light
    "Volt": "V", "Amp": "A", "Amps": "A", "ohm": "Ohm", "Ω": "Ohm", "kΩ": "kOhm", "MΩ": "MOhm", "uS/cm": "uS/cm", "mS/cm": "mS/cm", "dB": "dB", "dB(A)": "dB{A}",
    "lux": "lx", "umol/m2/s": "umol/m2/s",
    # viscosity, length, time, counts
    "cP": "cP", "mPas": "mPa.s", "mPa s": "mPa.s", "Pas": "Pa.s", "Pa s": "Pa.s", "cSt": "cSt", "micron": "um", "inch": "[in_i]", "in": "[in_i]", "ft": "[ft_i]",
    "sec": "s", "secs": "s", "seconds": "s", "Sek": "s", "mins": "min", "minutes": "min", "Min": "min", "hr": "h", "hrs": "h", "hours": "h", "Std": "h", "days": "d",
    "msec": "ms", "pcs": "{pieces}", "pieces": "{pieces}", "Stk": "{pieces}", "count": "{count}", "counts": "{count}", "tablets": "{tablets}", "1": "1", "-": "1",
    "units": "{units}", "deg": "deg", "°": "deg", "EU/mL": "[EU]/mL", "IU": "[iU]", "IU/mL": "[iU]/mL", "mOsm/kg": "mosm/kg",
}  # fmt: skip

AMBIGUOUS: dict[str, str] = {
    "C": "°C (UCUM Cel) or coulomb (write unit C and no source_unit)",
    "F": "°F (UCUM [degF]) or farad",
    "gal": "gal (US), or gallon of Britain: UCUM [gal_br]",
    "bar(d)": "bar, for a difference",
    "Nm3": "m3{norm}",
}
"""What a display may mean in two ways: refused, with the ways."""

TRAPS: dict[str, str] = {"pH": "[pH]", "C": "Cel", "F": "[degF]", "Gal": "[gal_us]", "AU": "{AU}"}
"""Valid UCUM codes that in a plant mostly mean another: pH is picohenry."""

UNECE: dict[str, str] = {
    "CEL": "Cel", "FAH": "[degF]", "KEL": "K", "P1": "%", "C62": "1", "RPM": "/min", "HTZ": "Hz", "SEC": "s", "C26": "ms", "MIN": "min", "HUR": "h", "DAY": "d",
    "KGM": "kg", "GRM": "g", "MGM": "mg", "MC": "ug", "TNE": "t", "LBR": "[lb_av]", "LTR": "L", "MLT": "mL", "MTQ": "m3", "CMQ": "cm3", "MTR": "m", "MMT": "mm",
    "CMT": "cm", "4H": "um", "BAR": "bar", "MBR": "mbar", "PAL": "Pa", "KPA": "kPa", "A97": "hPa", "MPA": "MPa", "PS": "[psi]", "NEW": "N", "B47": "kN",
    "NU": "N.m", "WTT": "W", "KWT": "kW", "KWH": "kW.h", "WHR": "W.h", "JOU": "J", "KJO": "kJ", "VLT": "V", "2Z": "mV", "AMP": "A", "4K": "mA", "OHM": "Ohm",
    "MTS": "m/s", "C16": "mm/s", "2X": "m/min", "MQH": "m3/h", "MQS": "m3/s", "L2": "L/min", "E32": "L/h", "41": "mL/min", "E93": "kg/h", "F31": "kg/min", "KGS": "kg/s",
    "F38": "g/min", "F23": "g/cm3", "GL": "g/L", "KMQ": "kg/m3", "M1": "mg/L", "C38": "mol/L", "M33": "mmol/L", "59": "[ppm]", "Q30": "[pH]", "G42": "uS/cm", "H61": "mS/cm",
    "LUX": "lx", "2N": "dB", "C65": "Pa.s", "C24": "mPa.s", "C7": "cP", "DD": "deg", "C81": "rad", "23": "g/cm3", "MTK": "m2",
}  # fmt: skip
"""UNECE Recommendation 20 codes, as OPC UA's EUInformation carries them (OPC 10000-8, 5.6.4), and their UCUM codes."""
