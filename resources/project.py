"""The project file as a resource, read anew by every run."""

from functools import cached_property

import dagster as dg

from stillhouse.config.project import Project, load_project
from stillhouse.outside import open_state
from stillhouse.state import State
from stillhouse.storage.layout import Layout


class ProjectResource(dg.ConfigurableResource):
    """A project: its settings, where its data lies, what its steps would make now."""

    project_file: str

    @cached_property
    def project(self) -> Project:
        return load_project(self.project_file)

    @property
    def layout(self) -> Layout:
        return Layout(self.project.data_path)

    def state(self, run_id: str | None = None) -> State:
        """What the run `run_id` works on: the dataset that it began with."""
        return open_state(self.project, run_id=run_id)
