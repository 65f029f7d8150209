"""The durable record of a run, written and read back; nothing that trains, decides or shows comes in."""

# What was a module once gives its public names still.
from gammatune.journal.events import FORMAT as FORMAT
from gammatune.journal.events import Event as Event
from gammatune.journal.events import Repeat as Repeat
from gammatune.journal.events import State as State
from gammatune.journal.events import begin_event as begin_event
from gammatune.journal.events import commit_event as commit_event
from gammatune.journal.events import gone_event as gone_event
from gammatune.journal.events import net_event as net_event
from gammatune.journal.events import note_event as note_event
from gammatune.journal.events import objective_event as objective_event
from gammatune.journal.events import repeat_event as repeat_event
from gammatune.journal.events import resume_event as resume_event
from gammatune.journal.events import rollout_event as rollout_event
from gammatune.journal.events import state_event as state_event
from gammatune.journal.events import text_of as text_of
from gammatune.journal.history import FILE as FILE
from gammatune.journal.history import PREDICTIONS as PREDICTIONS
from gammatune.journal.history import WEIGHTS as WEIGHTS
from gammatune.journal.history import Story as Story
from gammatune.journal.history import outcome_from as outcome_from
from gammatune.journal.history import replay as replay
from gammatune.journal.writer import Echo as Echo
from gammatune.journal.writer import Journal as Journal
