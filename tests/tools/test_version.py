"""The product has one version."""

from importlib import metadata

from tools.package import ROOT, Project


def test_the_python_package_has_the_packs_version() -> None:
    assert metadata.version("azure-risky-users") == Project(ROOT).version
