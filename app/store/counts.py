"""How much work is under way."""

from sqlalchemy import func, literal, select, union_all
from sqlalchemy.orm import Session

from app.states import WorkState
from app.store.records import DatasetRecord, DistanceRecord, JobRecord, SelectionRecord

UNDER_WAY = (WorkState.QUEUED, WorkState.RUNNING)
_KINDS = (DatasetRecord, DistanceRecord, SelectionRecord, JobRecord)


def count_under_way(session: Session) -> dict[tuple[str, WorkState], int]:
    """Queued and running work by table and state; what has ended is not looked at, however much it is."""
    parts = [
        select(literal(kind.__tablename__).label("kind"), kind.state, func.count())
        .where(kind.state.in_(UNDER_WAY))
        .group_by(kind.state)
        for kind in _KINDS
    ]
    found = {(kind.__tablename__, state): 0 for kind in _KINDS for state in UNDER_WAY}
    return found | {(kind, WorkState(state)): count for kind, state, count in session.execute(union_all(*parts))}
