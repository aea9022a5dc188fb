"""TensorBoard's files, read without TensorBoard."""

import numpy as np


def read(folder):
    """By tag, the steps and values in the only file of events in `folder`."""
    from tensorboardX.proto.event_pb2 import Event

    (file,) = folder.glob("events.out.tfevents.*")
    data, read = file.read_bytes(), {}
    # A record is its length (8 bytes), a checksum (4), the event, a checksum (4).
    while data:
        length = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + length])
        for value in event.summary.value:
            read.setdefault(value.tag, []).append((event.step, value.simple_value))
        data = data[16 + length :]
    return {tag: tuple(np.array(rows).T) for tag, rows in read.items()}
