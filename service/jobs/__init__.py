"""The reason for all this: a job is accepted once, paid for at most once, and its end is told.

`lifecycle` says what may follow what; `store` writes it, every write guarded by the states it may leave.
On the API's side `accept`, `cancel` and the reads; on the worker's side a job is claimed (`claimer`),
submitted with the intent committed first (`submitter`), followed by polls (`tracker`) and ended together
with the events that tell it (`telling`). What is pure stands apart: `lifecycle`, `pace`, `view`.
"""
