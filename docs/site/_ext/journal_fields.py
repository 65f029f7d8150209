"""`.. journal-fields::` lists what each event of a journal must hold, as `gammatune.journal.fields` checks it."""

import dataclasses

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

from gammatune import records
from gammatune.journal import events, fields


class JournalFields(Directive):
    def run(self) -> list[nodes.Node]:
        held = {
            "begin": list(fields.BEGIN),
            "resume": list(fields.RESUME),
            "rollout": [f.name for f in dataclasses.fields(records.Outcome)],
            "commit": ["rollouts", "epochs", "verdict", "members", "nets"],
            "net": list(fields.NET),
            "state": [f.name for f in dataclasses.fields(events.State)],
            "gone": ["after"],
            "repeat": [f.name for f in dataclasses.fields(events.Repeat)],
            "check": [f.name for f in dataclasses.fields(events.Check)],
            "end": list(fields.END),
            "extend": list(fields.EXTEND),
            "report": [],
            "note": ["text", "is_start", "because"],
        }
        held["report"] = sorted({*fields.LABELS, *fields.NUMBERS, *fields.MEASURED})
        listing = nodes.definition_list()
        for event, names in held.items():
            listing += nodes.definition_list_item(
                "",
                nodes.term("", "", nodes.literal("", event)),
                nodes.definition("", nodes.paragraph("", ", ".join(names))),
            )
        return [listing]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("journal-fields", JournalFields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
