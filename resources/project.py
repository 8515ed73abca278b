"""The project file as a resource, read anew by every run."""

from functools import cached_property

import dagster as dg

from stillhouse.config.project import Project, load_project
from stillhouse.recipes import Recipes
from stillhouse.storage.layout import Layout


class ProjectResource(dg.ConfigurableResource):
    """A project: its settings, where its data lies, what its assets are made of."""

    project_file: str

    @cached_property
    def project(self) -> Project:
        return load_project(self.project_file)

    @cached_property
    def recipes(self) -> Recipes:
        return Recipes(self.project)

    @property
    def layout(self) -> Layout:
        return self.recipes.layout
