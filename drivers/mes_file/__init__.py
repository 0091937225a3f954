"""Files that a legacy system drops into a folder: read-only, whole files only, each content once."""

from drivers.mes_file.driver import MesFileDriver

__all__ = ["MesFileDriver"]
