"""The job that clears caches; the steps do the same for their own whenever they run."""

import dagster as dg

from stillhouse.resources.project import ProjectResource
from stillhouse.storage.caches import bound, sizes


@dg.op(description="Removes what was not used for long, and what is of documents that are gone.")
def clear(context: dg.OpExecutionContext, project: ProjectResource) -> None:
    from stillhouse.erasure.sweep import sweep

    layout, keep = project.layout, project.project.caches
    cache = layout.cache("")
    before = sum(sizes(cache).values())
    sweep(layout)
    bound(cache, days=keep.days, size=int(keep.gigabytes * 1e9))
    after = sum(sizes(cache).values())
    context.log.info(f"caches: {before / 1e6:.0f} MB before, {after / 1e6:.0f} MB after")
    context.add_output_metadata({"megabytes_before": before / 1e6, "megabytes_after": after / 1e6})


@dg.job(description="Removes what was not used for long, and what is more than `caches` allows.")
def clear_caches() -> None:
    clear()
