"""Back up a journal, and restore it: from a backup, and from what an EBR has beyond it.

Invariants
----------
1. A backup is a journal that `verify` has checked; the private key is never in it, because it could sign in the gateway's name.
2. A restore is made in a folder of its own and put in place at the end: cut short, it can be done again, and a start in between never goes
   on under old identities.
3. A restored journal begins a new epoch, later than any that the EBR knows.
4. From an EBR's store nothing is taken that the chain does not prove, from the backup's last entry on; a store that contradicts the backup
   is refused.
"""
