"""Passes on the trace headers of messages that are sent together, which ministack drops."""

import contextvars

ATTRIBUTES = "MessageSystemAttributes"
# The entries of the batch that is being sent, in the order in which they are sent.
_entries = contextvars.ContextVar("entries", default=None)


def install():
    """Replaces how ministack sends a batch of messages, in an interpreter that has it."""
    try:
        from ministack.services import sqs
    except ImportError:
        return
    send, send_batch = sqs._act_send_message, sqs._act_send_message_batch

    def send_entry(data, url):
        entries = _entries.get()
        if entries is not None:
            data = {**data, ATTRIBUTES: next(entries).get(ATTRIBUTES)}
        return send(data, url)

    def send_entries(data, url):
        token = _entries.set(iter(data.get("Entries", [])))
        try:
            return send_batch(data, url)
        finally:
            _entries.reset(token)

    sqs._act_send_message = send_entry
    sqs._HANDLERS["SendMessageBatch"] = send_entries
