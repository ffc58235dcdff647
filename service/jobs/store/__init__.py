"""Jobs in Postgres: the only SQL about them.

`accept` and `reads` are the API's; `claims` gives and takes back the right to work; `moves` writes states.
Each function runs on the caller's connection: the caller decides what is committed together.
"""
