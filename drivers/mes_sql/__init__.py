"""Legacy MES by SQL: any database that SQLAlchemy can await, read-only, row by row with nothing left out."""

from drivers.mes_sql.driver import MesSqlDriver

__all__ = ["MesSqlDriver"]
