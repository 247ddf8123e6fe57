# SPDX-License-Identifier: Apache-2.0
"""rw-tracer and rw-tracer-all: from the ring into the file."""

from ctypes import c_char

from choice import BY_EVENT
from options import Options
from output import Output
from record import EVENT, fields_line, fields_payload_line, formatter
from ring import Consumer, RingTool
from stop import Stop


class RwTracer(RingTool):
    def __init__(self, options: Options, output: Output, stop: Stop) -> None:
        super().__init__(options, output, stop)
        self._payload_bytes = options.payload_bytes if options.tool == "rw-tracer-all" else 0

    def attach(self) -> None:
        self.load("rw.c", {"PAYLOAD_BYTES": self._payload_bytes})

    def consumer(self) -> Consumer:
        if self.options.buffer == "perf":
            return self._take_from_perf_buffer()
        return self._take_by_event() if BY_EVENT else self._take_in_place()

    def _take_in_place(self) -> Consumer:
        # Names of the closure, as looking up attributes of self would cost time at every event.
        slot_at = (c_char * (EVENT.size + self._payload_bytes)).from_address
        record = formatter(self.options.format, self._payload_bytes)
        put = self.output.put
        stop = self.stop

        def on_event(_context: object, address: int, _size: int) -> int:
            put(record(slot_at(address)))
            return stop.verdict

        return on_event

    def _take_from_perf_buffer(self) -> Consumer:
        """As in place. BCC empties a buffer to its end, whatever is returned, and under load there may be none: what
        ends it then is that nothing is put in any more.
        """
        slot_at = (c_char * (EVENT.size + self._payload_bytes)).from_address
        record = formatter(self.options.format, self._payload_bytes)
        put = self.output.put
        stop = self.stop

        # [snippet buffer]
        def on_event(_cpu: object, address: int, _size: int) -> int:
            put(record(slot_at(address)))
            if stop.verdict:
                stop.verdict = 0
                self.detach()
            return 0

        # [end buffer]
        return on_event

    def _take_by_event(self) -> Consumer:
        """As the callbacks of BCC's reference guide and tools do."""
        bpf = self.bpf
        line = fields_payload_line if self._payload_bytes else fields_line
        put = self.output.put
        stop = self.stop

        def on_event(_context: object, address: int, _size: int) -> int:
            put(line(bpf["events"].event(address), address))
            return stop.verdict

        return on_event
