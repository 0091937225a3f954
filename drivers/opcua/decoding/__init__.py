"""From a server's bytes to readings: data changes, values read, and the structures that a server describes.

What always holds
-----------------
1. Nothing is guessed. Bytes that do not add up raise (`publish.BROKEN`), and the caller declares a gap. No second decoder is asked: what
   one refuses for its size another would try. The elements of a message are counted over all of it (`variant.Budget`).
2. One value that can not be read is Bad with the reason, and never takes its neighbours with it.
3. Every record of a notification becomes one reading per tag of its item, in order; times keep their 100 ns.
4. What a structure looks like is data read from the server, never code made from it.

`publish` decodes messages, fast where records are alike; `convert` turns the other records into readings; `structures` learns layouts
(`layout`, `type_dictionary`) in each session.
"""
