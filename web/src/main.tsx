import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { cameBack } from "./api/provider";
import { begin } from "./api/session";
import { reloadAfterUpgrades } from "./parts/Guard";
import "./styles.css";

reloadAfterUpgrades();
const back = cameBack();
if (!back) await begin();
createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <App back={back} />
  </StrictMode>,
);
