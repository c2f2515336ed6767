# Two small images; docker-compose.yaml names the one it wants as `target`.

FROM apache/airflow:3.3.2-python3.12 AS airflow
# The official image has every provider and library that this package imports, but for what draws the plots of a report.
COPY requirements.lock /tmp/requirements.lock
RUN sed -n '/^pygal==/,/# via/p' /tmp/requirements.lock > /tmp/pygal.lock \
    && pip install --no-cache-dir --no-deps --require-hashes -r /tmp/pygal.lock
# Should a newer image drop one, the build says so instead of a task.
RUN python -c "import croniter, cryptography, fastapi, jinja2, jwt, markupsafe, pygal, requests, starlette, tenacity, urllib3, snowflake.connector, airflow.providers.amazon, airflow.providers.http, airflow.providers.snowflake, airflow.providers.standard"
# A named volume takes over owner and mode of the folder it is first mounted on; group 0 as everywhere in this image.
RUN mkdir --mode=0775 /opt/airflow/reports

FROM airflow AS sandbox
# What answers in place of Tableau when the profile `sandbox` is on; never part of the image above.
WORKDIR /opt/sandbox
COPY sandbox sandbox
ENTRYPOINT ["/usr/bin/dumb-init", "--", "python", "-m", "sandbox"]
