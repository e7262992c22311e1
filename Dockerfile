# One image for every service: the command picks which.
#   docker build -t linkflow .
#   docker run linkflow serve history
FROM node:22-slim AS console
WORKDIR /src/web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci
COPY web ./
RUN npm run build -- --outDir /console --emptyOutDir

FROM python:3.13-slim AS build
RUN pip install --no-cache-dir uv
WORKDIR /src
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY layers layers
COPY --from=console /console layers/linkflow/python/linkflow/http/console
RUN uv venv /opt/linkflow \
 && uv pip install --no-cache --compile-bytecode --python /opt/linkflow/bin/python \
      --constraint requirements.lock ".[aws,grpc,otel,server]"

FROM python:3.13-slim
# Volumes that are mounted here for the first time are this user's.
RUN useradd --uid 65532 --user-group --create-home --home-dir /home/linkflow linkflow \
 && install -d -o linkflow -g linkflow -m 0700 /certs /keys
COPY --from=build /opt/linkflow /opt/linkflow
ENV PATH=/opt/linkflow/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LINKFLOW_ENVIRONMENT=container \
    LINKFLOW_HOME=/home/linkflow \
    LINKFLOW_GRPC=:7001 \
    LINKFLOW_HTTP=:8080 \
    LINKFLOW_PROBES=:9090
USER linkflow
EXPOSE 7001 8080 9090
# SIGTERM: not ready any more, no new work, what runs is finished or handed back.
STOPSIGNAL SIGTERM
ENTRYPOINT ["linkflow"]
CMD ["--help"]
