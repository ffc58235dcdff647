"""What stands in for the rest of the world on a developer's machine and in tests.

The simulator plays RunComfy's Model API, the receiver plays a caller's webhook endpoint. Both are
witnesses: they share no code with the client, the signer and the catalogue they testify about, so a
mistake on our side cannot be repeated on theirs. What they need beyond the service (Pillow,
standardwebhooks) is in the extra `embedded` and is imported only when one of them is started.
"""
