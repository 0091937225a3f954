"""The periodic review: what a line's journal, its folder and its machine say of a period, as one document that a person signs.

`gathering` reads the journal once and keeps counts and the first rows of each kind, so that years fit; `coverage` adds up gaps by source
and month; `held` says which part of the period the journal still holds; `requalification` decides, purely; `surroundings` looks at what
stands in no entry; `of_control` and `of_record` write each topic down with its verdict, `document` puts them together. What is not held,
and what could not be looked at, is said, never counted as none.
"""
