"""A dataset for other programs: CSV, Parquet, netCDF; written beside its place, and put there once it is whole."""

import importlib.util
from pathlib import Path

from qbsweep.errors import QbsweepError
from qbsweep.runs.tables import Tables
from qbsweep.store.dataset import Store
from qbsweep.store.disk import sync_folder, sync_tree
from qbsweep.store.readable import used
from qbsweep.store.reading import open_dataset
from qbsweep.store.scratch import scratch
from qbsweep.text import size_of

FORMATS = ("csv", "parquet", "netcdf")
_ENGINES = {"netcdf4": ("netCDF4",), "h5netcdf": ("h5netcdf", "h5py")}  # the second does not bring its HDF5
_CLASSIC = 2 << 30  # bytes; scipy knows only the classic netCDF, and keeps all of it in memory


def export(data: Path, kind: str, target: Path, everything: bool) -> None:
    """Write a dataset to a file, or replace one."""
    if kind not in FORMATS:
        raise QbsweepError(f"a run is exported to csv, parquet or netcdf, not to '{kind}'")
    if kind == "parquet" and not _has("pyarrow"):
        raise QbsweepError("export to parquet needs pyarrow: pip install pyarrow")
    with scratch(target) as folder, used(data):
        new = folder / target.name
        if kind == "netcdf":
            _netcdf(data, new)
        else:
            (_csv if kind == "csv" else _parquet)(Tables(Store(data), everything), new)
        sync_tree(folder)
        new.replace(target)
        sync_folder(target.parent)


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _netcdf(data: Path, new: Path) -> None:
    engine = next((engine for engine, packages in _ENGINES.items() if all(map(_has, packages))), "scipy")
    with open_dataset(data) as ds:
        if engine == "scipy" and ds.nbytes > _CLASSIC:
            raise QbsweepError(f"export of {size_of(ds.nbytes)} to netcdf needs h5netcdf: pip install h5netcdf h5py")
        ds.to_netcdf(new, engine=engine)  # type: ignore[call-overload]


def _csv(tables: Tables, new: Path) -> None:
    with new.open("w", encoding="utf-8", newline="") as file:
        for number, table in enumerate(tables.parts()):
            table.to_csv(file, index=False, header=number == 0)


def _parquet(tables: Tables, new: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    for part in tables.parts():
        table = pa.Table.from_pandas(part, preserve_index=False)
        if writer is None:
            writer = pq.ParquetWriter(new, table.schema.with_metadata(tables.metadata()))
        writer.write_table(table.replace_schema_metadata(tables.metadata()))
    if writer is not None:
        writer.close()
