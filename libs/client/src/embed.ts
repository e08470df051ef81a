import { defineTalkMesh, TalkMeshElement } from './element/index.js';

/** `<script type="module" src="https://GATEWAY/talk-mesh.js">` defines `<talk-mesh>` for the gateway that it was loaded from. */
TalkMeshElement.defaultBaseUrl = new URL('.', import.meta.url).href;
defineTalkMesh();
