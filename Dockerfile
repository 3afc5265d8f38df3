ARG BASE=node:24-slim
FROM ${BASE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN ["npm", "ci"]
COPY . .
RUN ["npm", "run", "-s", "build"]
RUN ["npm", "prune", "--omit=dev"]
# What each process owns at run time: empty, and the user's own, so that a new volume is writable.
RUN ["mkdir", "-p", "/state"]

FROM ${BASE}
ENV NODE_ENV=production
COPY --from=build /build/package.json /app/
COPY --from=build /build/LICENSE /app/
COPY --from=build /build/node_modules /app/node_modules
COPY --from=build /build/dist /app/dist
COPY --from=build --chown=65532:65532 --chmod=0700 /state /chappe
# No name for this user is needed, and no shell: every command below runs without one.
USER 65532:65532
WORKDIR /chappe
ENTRYPOINT ["node", "--enable-source-maps", "/app/dist/cli/main.js"]
CMD ["help"]
# A node writes its address to run/api.json when it is ready; a relay's listener is on a fixed port.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('https://127.0.0.1:8443/livez').catch(()=>import('node:fs').then(fs=>fetch(JSON.parse(fs.readFileSync('/chappe/run/api.json','utf8')).url+'/livez'))).then(r=>process.exit(r.ok?0:1),()=>process.exit(1))"]
