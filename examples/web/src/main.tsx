import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { Opening } from "./Opening.tsx";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/start.css";
import "./styles/list.css";
import "./styles/chat.css";
import "./styles/pages.css";

const root = document.getElementById("root");
if (!root) throw new Error("the page has no #root");
createRoot(root).render(
  <StrictMode>
    <Opening />
  </StrictMode>,
);
