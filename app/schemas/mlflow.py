"""Jobs in MLflow, on the wire."""

from typing import Final

from pydantic import ConfigDict, Field, StrictBool

from app.schemas.work import Reply, Request, Title

WITHOUT_EFFECT: Final = frozenset({"mlflow"})
"""Fields of a stored request that change nothing about what comes of it."""


class MlflowCreate(Request):
    """Where in MLflow a job is told."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"experiment": "flowers", "run_name": "trial 7"}]})

    experiment: Title = Field(description="Its experiment there; made if there is none.", examples=["flowers"])
    run_name: Title | None = Field(
        default=None, description="What to call the run. Default: the job's name, or its id."
    )
    checkpoint: StrictBool = Field(default=False, description="Whether the checkpoint is sent there too.")


class MlflowRun(Reply):
    """A job as MLflow has it."""

    run_id: str
    experiment_id: str
    url: str | None = Field(description="Its page, where MLflow is a server.")
