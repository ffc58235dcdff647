"""What is told to callers: signed webhooks, delivered at least once.

An event and its deliveries are written in the transaction of whatever happened (`outbox`); a sender takes
the deliveries that are due, signs the frozen bytes afresh and posts them to judged addresses only.
"""
