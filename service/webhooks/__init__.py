"""What is told to callers: signed webhooks, delivered at least once.

An event and its deliveries are written in the transaction of whatever happened (`outbox`): one to every
enabled endpoint of the tenant and mode that wants its type, and one to the job's `callback_url`; of the same
URL the endpoint's wins. A sender takes the deliveries that are due, signs the frozen bytes afresh and posts
them to judged addresses only.

Lanes. What is due is taken at once, in the order of time. What is not (its lane is full or its breaker
open, its tenant or the process has no place left) stands in its lane's line from then on (`in_line`), and
is found by the lane's row: so no claim reads what waits for a receiver that is dead, and a receiver with
which all is well has no row. All that changes lanes runs under one lock, taken before anything is counted.

Disabled endpoints. While one is disabled no deliveries are made for it: what happens meanwhile is on the
feed, and `replay` makes deliveries for events that have none for its URL. What was still to be delivered
when it was disabled is `held`, until it is released, asked for again, or too old. Whoever changes endpoints
calls, in the same transaction, of `store.again`: `hold` when one is disabled, `release` when it is enabled,
`withdraw` when it is removed; `redeliver` and `replay` when that is asked for. What is asked for again goes
in a lane of its own, `replay:` and the lane's name, which takes at most one of the lane's places and shares
its breaker: it is never in the way of fresh deliveries. After each of these but `hold` and `withdraw` the
bell may be rung; the senders' tick finds it too.
"""
