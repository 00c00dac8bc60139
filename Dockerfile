# One image for every service of docker-compose.yml: they share a Celery app, and differ in their command alone.
FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY monitor monitor
COPY dashboards dashboards
COPY alerts alerts
RUN pip install ".[demo]"

FROM python:3.12-slim
RUN useradd --create-home --uid 10001 demo && install -d -o demo -g demo /app /data
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY tasks tasks
COPY dashboards dashboards
USER demo
# A new named volume takes the owner of what it covers, so that the services may write to it.
VOLUME /data
CMD ["celery", "-A", "tasks", "worker", "-Q", "critical,default,low", "-l", "INFO"]
