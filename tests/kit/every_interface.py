"""A line with an interface of every kind that a line can have, and nothing behind any of them."""

from pathlib import Path

IDENTITIES = ("batch", "order")
TOML = """
[line]
site = "lyon"
name = "every-1"
timezone = "Europe/Paris"

[clock]
servers = ["ntp1.plant.example", "ntp2.plant.example", "ntp3.plant.example"]

[web]
listen = "127.0.0.1:8080"
read_only_without_login = false

[push]
listen = "127.0.0.1:8090"
owner = "Manufacturing IT"
[[push.client]]
name = "mes"
token = { credential = "mes-token" }

[[source]]
name = "plc"
driver = "opcua"
endpoint = "opc.tcp://10.1.1.1:4840"
user = "ebr"
password = { credential = "plc" }
namespaces = { plc = "urn:example:plc" }
rate_ms = 500

[[source]]
name = "dryer"
driver = "modbus"
endpoint = "tcp://10.1.1.2:502"

[[source]]
name = "scale"
driver = "serial"
endpoint = "serial:///dev/ttyS0?baudrate=9600"
protocol = "mt-sics"

[[source]]
name = "mes"
driver = "mes_sql"
endpoint = "sqlite+aiosqlite:///mes.db"
[[source.query]]
name = "orders"
sql = "SELECT id, unit_id, batch_no FROM v_orders WHERE id > :since ORDER BY id"
key = "id"
watermark = { column = "id", kind = "sequence", overlap_s = 600.5 }

[[source]]
name = "lims"
driver = "mes_file"
endpoint = "file://drop"
[[source.pattern]]
name = "results"
glob = "*.csv"
format = "csv"
key = "sample_id"

[[equipment]]
name = "mixer"
batch = { push = true, pattern = "B[0-9]{4}" }
order = { push = true }

[[uplink]]
name = "pages"
kind = "https"
endpoint = "https://ebr.plant.example/api"
user = "lyon"
password = { credential = "ebr" }
tls = { ca = "ca.crt", cert = "client.crt", key = "client.key" }
owner = "Manufacturing IT"
contact = "ebr@plant.example"

[[uplink]]
name = "posts"
kind = "https"
endpoint = "https://erp.plant.example/api"
profile = "records"

[[uplink]]
name = "topics"
kind = "mqtt"
endpoint = "mqtts://broker.plant.example"
user = "lyon"
password = { credential = "ebr" }

[[uplink]]
name = "messages"
kind = "mqtt"
endpoint = "mqtt://127.0.0.1:1883"
profile = "records"
version = "3.1.1"

[[witness]]
name = "far"
endpoint = "https://witness.plant.example/log"

[[notify]]
name = "shift"
endpoint = "https://hook.plant.example/alarms"

[backup]
folder = "copies"
"""
TAGS = """tag,source,address,type,unit,source_unit,scale,criticality,equipment
mixer.speed,plc,"plc:s=Speed",float32,/min,rpm,,CPP,mixer
dryer.temp,dryer,1/holding/1,int16,Cel,°C,0.1,CQA,mixer
scale.net,scale,weight,decimal,kg,kg,,GMP,mixer
lab.lod,lims,results.lod,decimal,,,,none,mixer
"""
PARAMETERS = """parameter,ebr_field,equipment,step,tag,statistic,unit,decimals,low,high,limit_source
speed_mean,PM-1,mixer,MIX,mixer.speed,mean,/min,1,200,300,map
"""


def every_interface(folder: Path) -> Path:
    """Write the line folder."""
    folder.mkdir(parents=True)
    (folder / "line.toml").write_text(TOML)
    (folder / "tags.csv").write_text(TAGS)
    (folder / "steps.csv").write_text("step,equipment,level,signal,active\nMIX,mixer,phase,mixer.speed,1..400\n")
    (folder / "parameters.csv").write_text(PARAMETERS)
    return folder
