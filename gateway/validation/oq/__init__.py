"""Operational qualification: what the installed program does, played on a copy of the site's own line.

`document` plays the cases one after the other and writes what came; `cases` lists them; `stage` is the copy that each is played on;
`case` is what a case is and says. A case looks at what the EBR or the journal holds and at the devices' own logs: it never asks the
program whether it did well. What can not be played raises NotPlayed, and stands in the document with its reason.
"""
